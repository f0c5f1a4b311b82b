package browser

import "flag"

var shots = flag.String("shots", "", "write screenshots of the page to this `DIR`")
