package docker

import "time"

// clock converts the engine's timestamps from a wall clock, which may jump, to CLOCK_MONOTONIC.
type clock struct {
	skew    time.Duration // the engine's wall clock minus ours; 0 for an engine on this machine
	offset  time.Duration // our wall clock minus CLOCK_MONOTONIC, at the last update
	updated time.Duration // the time of the last update
	jumped  time.Duration // when the wall clock was last seen to jump
	last    time.Duration // the last result
}

// now reads both clocks. The time between the two readings is negligible.
func now() (monotonic time.Duration, wall time.Time) { return monotonicNow(), time.Now() }

// update records the offset between the clocks, and whether the wall clock jumped. A slewed clock drifts by at most 500
// ppm (adjtime(3)).
func (c *clock) update(monotonic time.Duration, wall time.Time) {
	offset := time.Duration(wall.UnixNano()) - monotonic
	drift := (offset - c.offset).Abs()
	if c.updated != 0 && drift > time.Millisecond+(monotonic-c.updated)/1000 {
		c.jumped = monotonic
	}
	c.offset, c.updated = offset, monotonic
}

// distrustFor is how long after a jump of the wall clock an event may still arrive with a timestamp from before it. An
// engine sends an event when it stamps it, so a second is long for the way to this process, also on a busy machine.
const distrustFor = time.Second

// stamp returns the time of an event from the engine's timestamp. It returns the arrival time if the timestamp cannot
// be correct: if it is in the future, well before an earlier event, or soon after a jump of the wall clock.
func (c *clock) stamp(nano int64, monotonic time.Duration, wall time.Time) time.Duration {
	c.update(monotonic, wall)
	at := c.convert(nano)
	if at > monotonic || at < c.last-distrustFor || c.jumped != 0 && monotonic-c.jumped < distrustFor {
		at = monotonic
	}
	c.last = max(c.last, at)
	return at
}

// stale reports whether an event that arrives for the first time is older than the watch, because the engine replays
// its events. An event has no future timestamp unless the wall clock was set back since; if we did not see that jump,
// it was before the watch.
func (c *clock) stale(nano int64, monotonic time.Duration, wall time.Time) bool {
	c.update(monotonic, wall)
	return c.jumped == 0 && c.convert(nano) > monotonic+distrustFor
}

// convert only adds. A time before the machine's start becomes its first nanosecond.
func (c *clock) convert(nano int64) time.Duration {
	return max(1, time.Duration(nano)-c.skew-c.offset)
}
