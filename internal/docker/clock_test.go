package docker

import (
	"testing"
	"time"
)

func TestClock_MonotonicStamps(t *testing.T) {
	const start = 100 * time.Second // of CLOCK_MONOTONIC
	wall := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		reason  string
		jump    time.Duration // of the wall clock, before the event arrives
		skew    time.Duration // of the engine's clock
		stamped time.Duration // after start, by a clock that did not jump
		arrived time.Duration
		want    time.Duration
	}{
		{"an event that took a while", 0, 0, 4 * time.Second, 5 * time.Second, 4 * time.Second},
		{"an engine whose clock is an hour late", 0, -time.Hour, 4*time.Second - time.Hour, 5 * time.Second,
			4 * time.Second},
		{"the future", 0, 0, 6 * time.Second, 5 * time.Second, 5 * time.Second},
		{"long before what happened last", 0, 0, -time.Hour, 5 * time.Second, 5 * time.Second},
		{"the wall clock was set back", -time.Hour, 0, 4 * time.Second, 5 * time.Second, 5 * time.Second},
		{"the wall clock was set forward", time.Hour, 0, 4 * time.Second, 5 * time.Second, 5 * time.Second},
		{"the wall clock was set by half a second", 500 * time.Millisecond, 0, 4900 * time.Millisecond, 5 * time.Second,
			5 * time.Second},
		{"the wall clock was slewed", time.Millisecond, 0, 4 * time.Second, 5 * time.Second,
			4*time.Second - time.Millisecond},
	} {
		k := clock{skew: c.skew}
		first := wall.Add(c.skew)
		k.stamp(first.UnixNano(), start, wall)
		got := k.stamp(wall.Add(c.stamped).UnixNano(), start+c.arrived, wall.Add(c.arrived+c.jump))
		if got != start+c.want {
			t.Errorf("%s: %v, want %v", c.reason, got-start, c.want)
		}
	}
}

func TestClock_StampsAfterJump(t *testing.T) {
	wall := time.Unix(1_800_000_000, 0)
	var k clock
	k.stamp(wall.UnixNano(), time.Minute, wall)
	k.stamp(wall.UnixNano(), time.Minute+time.Second, wall.Add(-time.Hour))
	at := wall.Add(-time.Hour + 9*time.Second)
	if got, want := k.stamp(at.UnixNano(), 71*time.Second, at.Add(time.Second)), 70*time.Second; got != want {
		t.Errorf("stamped %v, want %v", got, want)
	}
}

func TestClock_StaleEvents(t *testing.T) {
	wall := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		reason  string
		jump    time.Duration // of the wall clock, since the watch began
		stamped time.Duration // after its beginning
		want    bool
	}{
		{"an event of now", 0, 5 * time.Second, false},
		{"a moment ahead, as an engine on another machine may be", 0, 5500 * time.Millisecond, false},
		{"an hour ahead: the wall clock was set back before", 0, time.Hour, true},
		{"an hour ahead: it was set back just now", -time.Hour, 5 * time.Second, false},
	} {
		var k clock
		k.update(time.Minute, wall)
		if got := k.stale(wall.Add(c.stamped).UnixNano(), time.Minute+5*time.Second,
			wall.Add(5*time.Second+c.jump)); got != c.want {
			t.Errorf("%s: stale is %v", c.reason, got)
		}
	}
}
