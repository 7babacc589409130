# The folder of the running script, for a machine that has only perl-base: what Configure and util/*.pl use of the module of this name.
package FindBin;
use strict;
use warnings;
use Exporter 'import';
use Cwd ();
use File::Basename ();

our @EXPORT_OK = qw($Bin $RealBin $Script $RealScript);
our ( $Bin, $RealBin, $Script, $RealScript );

$Script = $RealScript = File::Basename::basename($0);
$Bin    = $RealBin    = Cwd::abs_path( File::Basename::dirname($0) );

1;
