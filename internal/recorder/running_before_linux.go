package recorder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
)

// runningBefore names the containers that the test process connected to although they ran before the recording and so
// are not recorded: compose projects with at least one such service, and single containers. what is "" if there are
// none. how is the remedy.
func (r *resolution) runningBefore() (what, how string) {
	if r.engine == nil {
		return "", ""
	}
	called := make(map[string]bool)
	for _, f := range r.observations {
		if f.from == nil && f.to != nil && !f.identity.Peer.Exact() && r.ranBefore(*f.to) {
			called[f.to.ID] = true
		}
	}
	services := make(map[string][]string) // of compose projects, by their names
	var projects, single []string
	for _, c := range r.engine.Containers() {
		if project := c.Labels[labelProject]; called[c.ID] && project != "" && !slices.Contains(projects, project) {
			projects = append(projects, project)
		} else if called[c.ID] && project == "" {
			single = append(single, fmt.Sprintf("container %s (%s)", c.Name, c.Image))
		}
	}
	for _, c := range r.engine.Containers() {
		project, name := c.Labels[labelProject], docker.Name(c)
		if slices.Contains(projects, project) && r.ranBefore(c) && !slices.Contains(services[project], name) {
			services[project] = append(services[project], name)
		}
	}
	slices.Sort(projects)
	slices.Sort(single)
	var names, downs []string
	for _, project := range projects {
		slices.Sort(services[project])
		names = append(names, fmt.Sprintf("compose project %s (%s)", project, strings.Join(services[project], ", ")))
		downs = append(downs, fmt.Sprintf("docker compose -p %s down", project))
	}
	if names = append(names, single...); len(names) == 0 {
		return "", ""
	}
	how = "start it after Record, or in TestMain after RecordPackage, so that it is recorded from its first packet on; " +
		"Recording.Adopt takes in what has to run already"
	if len(downs) > 0 {
		how = fmt.Sprintf("take it down (%s) and %s", strings.Join(downs, "; "), how)
	}
	return strings.Join(names, ", "), how
}

// ranBefore reports whether a container ran when the recording started, and is not recorded.
func (r *resolution) ranBefore(c docker.Container) bool {
	hasEnded := c.Ended > c.Started && c.Ended < r.started
	return !r.owned[c.ID] && c.Started != 0 && c.Started < r.started && !hasEnded && docker.Infrastructure(c) == ""
}

// runningErrors reports them if the test process is a driver and nothing else is recorded.
func (r *resolution) runningErrors(recorded bool) []string {
	const none = "Driver: the test process is no workload, and there was no container that is one: "
	switch what, how := r.runningBefore(); {
	case !r.options.Driver || recorded || r.ended:
		return nil
	case what != "":
		return []string{fmt.Sprintf("%s%s ran already when the recording began, and is not recorded: %s", none, what, how)}
	}
	return []string{none + "pass the recording to those that the test starts"}
}

// runningNotices reports them if the test process is a driver and something else is recorded.
func (r *resolution) runningNotices(recorded bool) []string {
	if !r.options.Driver || !recorded {
		return nil
	}
	if what, how := r.runningBefore(); what != "" {
		return []string{fmt.Sprintf("the test process called what ran already when the recording began, and is in no policy: %s: %s",
			what, how)}
	}
	return nil
}
