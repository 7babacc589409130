# can_run: where a command lies on PATH, for a machine that has only perl-base.
package IPC::Cmd;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(can_run);

sub can_run {
    my ($command) = @_;
    return $command if $command =~ m{/} && -x $command;
    for my $folder ( split /:/, $ENV{PATH} // '' ) {
        return "$folder/$command" if -x "$folder/$command" && !-d "$folder/$command";
    }
    return;
}

1;
