# Comparison of two text files, for a machine that has only perl-base: 0 equal, 1 different, -1 unreadable.
package File::Compare;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT    = qw(compare);
our @EXPORT_OK = qw(compare_text);

sub compare {
    my @texts;
    for my $name (@_[ 0, 1 ]) {
        open( my $in, '<:raw', $name ) or return -1;
        local $/;
        push @texts, scalar <$in>;
        close($in);
    }
    return $texts[0] eq $texts[1] ? 0 : 1;
}

sub compare_text {
    my ( $first, $second, $differs ) = @_;
    return compare( $first, $second ) unless $differs;
    open( my $one, '<', $first )  or return -1;
    open( my $two, '<', $second ) or return -1;
    while ( defined( my $left = <$one> ) ) {
        my $right = <$two>;
        return 1 if !defined($right) || $differs->( $left, $right );
    }
    return defined( scalar <$two> ) ? 1 : 0;
}

1;
