package golden

// Line returns the line of a field of one of the file's policies, such as "spec.egress[1].to". It returns that of the
// policy if the field has no line of its own, and 0 if the file does not have the policy.
func (f *File) Line(namespace, name, field string) int {
	for _, d := range f.documents {
		for i, p := range d.policies {
			if nameOf(p) != (objectName{namespace, name}) {
				continue
			}
			lines, at := d.Lines(), ""
			if d.list != nil {
				at, field = itemPath(i), itemPath(i)+"."+field
			}
			if line := lines.Of(field); line > 0 {
				return line
			}
			return lines.Of(at)
		}
	}
	return 0
}
