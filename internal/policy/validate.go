package policy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateLists returns an error for each malformed entry of the annotations that verdicts read.
func ValidateLists(meta *metav1.ObjectMeta, annotations *field.Path) field.ErrorList {
	var errs field.ErrorList
	list := meta.Annotations[NamesAnnotation]
	_, malformed := parseNames(list)
	for _, err := range malformed {
		errs = append(errs, field.Invalid(annotations.Key(NamesAnnotation), list, err.Error()))
	}
	for _, d := range Directions {
		for _, annotation := range ReservationAnnotations(d) {
			for _, entry := range EntriesOf(meta, annotation) {
				if _, err := ParseReservation(annotation, entry); err != nil {
					errs = append(errs, field.Invalid(annotations.Key(annotation), meta.Annotations[annotation], err.Error()))
				}
			}
		}
		annotation := otherAnnotation(d)
		for _, entry := range EntriesOf(meta, annotation) {
			if _, err := ParseOther(d, entry); err != nil {
				errs = append(errs, field.Invalid(annotations.Key(annotation), meta.Annotations[annotation], err.Error()))
			}
		}
	}
	for _, entry := range EntriesOf(meta, RequestsAnnotation) {
		if _, err := parseRequest(entry); err != nil {
			errs = append(errs,
				field.Invalid(annotations.Key(RequestsAnnotation), meta.Annotations[RequestsAnnotation], err.Error()))
		}
	}
	for _, entry := range EntriesOf(meta, KafkaAnnotation) {
		if err := checkKafka(entry); err != nil {
			errs = append(errs, field.Invalid(annotations.Key(KafkaAnnotation), meta.Annotations[KafkaAnnotation], err.Error()))
		}
	}
	return errs
}
