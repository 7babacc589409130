"""Worker processes: executions of one order spread over processors; what a process says is checked like the guest's."""
