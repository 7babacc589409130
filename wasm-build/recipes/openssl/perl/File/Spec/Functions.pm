# The methods of File::Spec as functions, for a machine that has only perl-base.
package File::Spec::Functions;
use strict;
use warnings;
use Exporter 'import';
use File::Spec;

our @EXPORT    = qw(canonpath curdir rootdir updir no_upwards file_name_is_absolute path catdir catfile);
our @EXPORT_OK = qw(devnull tmpdir splitpath splitdir abs2rel rel2abs case_tolerant catpath);
our %EXPORT_TAGS = ( ALL => [ @EXPORT, @EXPORT_OK ] );

for my $name ( @EXPORT, @EXPORT_OK ) {
    no strict 'refs';
    my $method = File::Spec->can($name);
    *{$name} = sub { return File::Spec->$method(@_) };
}

1;
