# copy and move of whole files, and copy to an open handle, for a machine that has only perl-base.
package File::Copy;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT    = qw(copy move);
our @EXPORT_OK = qw(cp mv);

sub copy {
    my ( $from, $to ) = @_;
    open( my $in, '<:raw', $from ) or return 0;
    local $/;
    my $bytes = <$in>;
    close($in);
    return print {$to} $bytes if ref($to) || ref( \$to ) eq 'GLOB';
    open( my $out, '>:raw', $to ) or return 0;
    print {$out} $bytes;
    return close($out);
}

sub move {
    my ( $from, $to ) = @_;
    return rename( $from, $to );
}

sub cp { return copy(@_) }
sub mv { return move(@_) }

1;
