# A date that strptime reads as "day month year" and strftime prints as year-month-day, for a machine that has only perl-base:
# the Makefile template wants it for the manual pages, which are not built here.
package Time::Piece;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(localtime);

my %month_number;
@month_number{qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)} = ( 1 .. 12 );

sub localtime {
    my @parts = CORE::localtime();
    return bless [ $parts[5] + 1900, $parts[4] + 1, $parts[3] ], __PACKAGE__;
}

sub strptime {
    my ( $class, $text ) = @_;
    my ( $day, $month, $year ) = $text =~ /^\s*(\d+)\s+(\w{3})\w*\s+(\d{4})\s*$/ or die "not a date: $text\n";
    return bless [ $year, $month_number{$month}, $day ], $class;
}

sub strftime { my ($self) = @_; return sprintf( '%04d-%02d-%02d', @{$self} ) }

1;
