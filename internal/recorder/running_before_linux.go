package recorder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
)

// runningBefore names the containers that the test process connected to although they ran before the recording and so
// are not recorded: compose projects with at least one such service, and single containers. names is "" if there are
// none.
func (s *resolution) runningBefore() (names, remedy string) {
	if s.engine == nil {
		return "", ""
	}
	called := make(map[string]bool)
	for _, f := range s.flows {
		if f.from == nil && f.to != nil && !f.identity.Peer.Exact() && s.ranBefore(*f.to) {
			called[f.to.ID] = true
		}
	}
	services := make(map[string][]string) // of compose projects, by their names
	var projects, single []string
	for _, c := range s.engine.Containers() {
		project := c.Labels[containers.LabelProject]
		if called[c.ID] && project != "" && !slices.Contains(projects, project) {
			projects = append(projects, project)
		} else if called[c.ID] && project == "" {
			single = append(single, fmt.Sprintf("container %s (%s)", c.Name, c.Image))
		}
	}
	for _, c := range s.engine.Containers() {
		project, name := c.Labels[containers.LabelProject], docker.Name(c)
		if slices.Contains(projects, project) && s.ranBefore(c) && !slices.Contains(services[project], name) {
			services[project] = append(services[project], name)
		}
	}
	slices.Sort(projects)
	slices.Sort(single)
	var listed, downs []string
	for _, project := range projects {
		slices.Sort(services[project])
		listed = append(listed, fmt.Sprintf("compose project %s (%s)", project, strings.Join(services[project], ", ")))
		downs = append(downs, fmt.Sprintf("docker compose -p %s down", project))
	}
	if listed = append(listed, single...); len(listed) == 0 {
		return "", ""
	}
	remedy = "start it after Record, or in TestMain after RecordPackage, so that it is recorded from its first packet " +
		"on; use Recording.Adopt for a container that has to run already"
	if len(downs) > 0 {
		remedy = fmt.Sprintf("stop it (%s) and %s", strings.Join(downs, "; "), remedy)
	}
	return strings.Join(listed, ", "), remedy
}

// ranBefore reports whether a container ran when the recording started, and is not recorded. Docker may say that a
// container which exits at once started after it had ended.
func (s *resolution) ranBefore(c docker.Container) bool {
	hasEnded := c.Ended != 0 && c.Ended < s.started
	return !s.owned[c.ID] && c.Started != 0 && c.Started < s.started && !hasEnded && docker.Infrastructure(c) == ""
}

// runningErrors reports what runningBefore returns if the test process is a driver and nothing else is recorded.
func (s *resolution) runningErrors(recorded bool) []string {
	const noWorkload = "Driver: the test process is no workload, and no container is one: "
	switch names, remedy := s.runningBefore(); {
	case !s.options.Driver || recorded || s.ended:
		return nil
	case names != "":
		return []string{fmt.Sprintf("%s%s ran before the recording and is not recorded: %s", noWorkload, names, remedy)}
	}
	return []string{noWorkload + "pass the recording to the containers that the test starts"}
}

// runningNotices reports what runningBefore returns if the test process is a driver and something else is recorded.
func (s *resolution) runningNotices(recorded bool) []recording.Notice {
	if !s.options.Driver || !recorded {
		return nil
	}
	if names, remedy := s.runningBefore(); names != "" {
		return []recording.Notice{recording.Noticef(recording.CodeRunningBefore,
			"the test process connected to containers that ran before the recording and are in no policy: %s: "+
				"%s", names, remedy)}
	}
	return nil
}
