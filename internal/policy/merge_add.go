package policy

// AddUntilDone calls add for each subject and direction until nothing changes. The policy of one subject may also
// select others, and isolate them once it changes.
func AddUntilDone(subjects []Subject, add func(Subject, Direction) (changed bool)) {
	for range len(subjects) + 1 {
		changed := false
		for _, subject := range subjects {
			for _, d := range Directions {
				changed = add(subject, d) || changed
			}
		}
		if !changed {
			return
		}
	}
}
