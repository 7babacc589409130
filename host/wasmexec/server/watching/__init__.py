"""What an operator watches: metrics, traces and the access log; nothing here decides anything."""
