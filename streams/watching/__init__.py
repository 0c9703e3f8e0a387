"""How a worker is seen from outside: health, metrics, traces and logs. Nothing here changes what is decided."""
