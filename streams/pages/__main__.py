import sys

from streams.pages import main

raise SystemExit(main(sys.argv[1:]))
