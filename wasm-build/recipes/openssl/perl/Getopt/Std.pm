# getopts: single-letter options, a colon after those that take a value, for a machine that has only perl-base.
package Getopt::Std;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(getopt getopts);

sub getopts {
    my ( $letters, $into ) = @_;
    my %takes_value;
    while ( $letters =~ /(.)(:?)/g ) { $takes_value{$1} = $2 eq ':' }
    while ( @ARGV && $ARGV[0] =~ /^-(.)(.*)/s ) {
        my ( $letter, $rest ) = ( $1, $2 );
        if ( $ARGV[0] eq '--' ) { shift @ARGV; last }
        return 0 unless exists $takes_value{$letter};
        shift @ARGV;
        my $value = 1;
        if ( $takes_value{$letter} ) { $value = length($rest) ? $rest : shift @ARGV }
        elsif ( length($rest) ) { unshift @ARGV, "-$rest" }
        if ($into) { $into->{$letter} = $value }
        else {
            no strict 'refs';
            my $caller = caller;
            ${"${caller}::opt_$letter"} = $value;
        }
    }
    return 1;
}

sub getopt { my ( $letters, $into ) = @_; return getopts( join( ':', split //, $letters ) . ':', $into ) }

1;
