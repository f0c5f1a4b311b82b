package policy

// AddUntilDone calls add for each subject and direction until nothing changes: a policy of one subject that selects others
// too may isolate them when it does.
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
