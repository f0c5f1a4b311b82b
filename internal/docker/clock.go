package docker

import "time"

// How long after the wall clock jumped an event may still arrive that was stamped before the jump.
const distrustFor = time.Second

// clock turns the engine's times, which are of a wall clock that anybody may set, into times of CLOCK_MONOTONIC.
type clock struct {
	skew   time.Duration // the engine's wall clock less ours; 0 for an engine on this machine
	offset time.Duration // our wall clock less CLOCK_MONOTONIC, when it was last looked at
	looked time.Duration // when that was
	jumped time.Duration // when the wall clock was last seen to have jumped
	last   time.Duration // what was returned last
}

// now looks at both clocks. The time between the two is nothing.
func now() (monotonic time.Duration, wall time.Time) { return Monotonic(), time.Now() }

// look notes how the clocks stand to each other, and whether the wall clock jumped. A clock that is slewed drifts
// by at most 500 ppm (adjtime(3)).
func (c *clock) look(monotonic time.Duration, wall time.Time) {
	offset := time.Duration(wall.UnixNano()) - monotonic
	drift := (offset - c.offset).Abs()
	if c.looked != 0 && drift > time.Millisecond+(monotonic-c.looked)/1000 {
		c.jumped = monotonic
	}
	c.offset, c.looked = offset, monotonic
}

// stamp returns when an event happened, by the engine's word, which arrived at a time. Where the word cannot be true,
// because it lies in the future, or well before what happened earlier, or the wall clock has just jumped, it is the arrival.
func (c *clock) stamp(nano int64, monotonic time.Duration, wall time.Time) time.Duration {
	c.look(monotonic, wall)
	at := c.convert(nano)
	if at > monotonic || at < c.last-distrustFor || c.jumped != 0 && monotonic-c.jumped < distrustFor {
		at = monotonic
	}
	c.last = max(c.last, at)
	return at
}

// stale reports whether an event that arrives for the first time is of before the watch: the engine repeats what it keeps, and
// stamps nothing with the future, unless the wall clock was set back since. If that was not while we looked, it was before.
func (c *clock) stale(nano int64, monotonic time.Duration, wall time.Time) bool {
	c.look(monotonic, wall)
	return c.jumped == 0 && c.convert(nano) > monotonic+distrustFor
}

// convert does no more than its sum. A time before the machine started is its first nanosecond.
func (c *clock) convert(nano int64) time.Duration {
	return max(1, time.Duration(nano)-c.skew-c.offset)
}
