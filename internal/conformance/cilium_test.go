package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cilium/cilium/pkg/k8s/apis/cilium.io/client/crds/v2"
	"github.com/cilium/cilium/pkg/k8s/apis/cilium.io/utils"
	"github.com/cilium/cilium/pkg/policy/api"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// sanitize repeats Cilium's CiliumNetworkPolicy.Parse: it decodes the rule, sanitizes it, adds the policy's namespace,
// and sanitizes the result, as the agent does.
func sanitize(text []byte) error {
	_, err := parse(text)
	return err
}

// parse returns the rule in the form of Cilium's agent.
func parse(text []byte) (*api.Rule, error) {
	var policy struct {
		Metadata struct{ Name, Namespace string }
		Spec     *api.Rule
	}
	object, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(object, &policy); err != nil {
		return nil, err
	}
	if policy.Metadata.Name == "" || policy.Spec == nil {
		return nil, errors.New("no name, or no spec")
	}
	namespace := policy.Metadata.Namespace
	if namespace == "" {
		namespace = "default"
	}
	if err := policy.Spec.Sanitize(); err != nil {
		return nil, fmt.Errorf("sanitize: %w", err)
	}
	parsed := utils.ParseToCiliumRule(slog.New(slog.DiscardHandler), "", namespace, policy.Metadata.Name, types.UID("uid"),
		policy.Spec)
	if err := parsed.Sanitize(); err != nil {
		return nil, fmt.Errorf("sanitize what was parsed: %w", err)
	}
	return parsed, nil
}

// crd is the schema of CiliumNetworkPolicy.
type crd struct {
	validator  validation.SchemaValidator
	structural *schema.Structural
}

func readCRD() (*crd, error) {
	text, err := v2.EmbedFS.ReadFile("ciliumnetworkpolicies.yaml")
	if err != nil {
		return nil, err
	}
	definition := new(apiextensionsv1.CustomResourceDefinition)
	if err := yaml.Unmarshal(text, definition); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(definition.Spec.Versions,
		func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == "v2" })
	if i < 0 {
		return nil, errors.New("the CRD has no version v2")
	}
	internal := new(apiextensions.CustomResourceValidation)
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
		definition.Spec.Versions[i].Schema, internal, nil,
	); err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	return &crd{validator, structural}, nil
}

// validate validates an object of the CRD like the API server under --validate=strict.
func (c *crd) validate(text []byte) error {
	var object map[string]any
	if err := yaml.Unmarshal(text, &object); err != nil {
		return err
	}
	if errs := validation.ValidateCustomResource(nil, object, c.validator); len(errs) > 0 {
		return errs.ToAggregate()
	}
	unknown := pruning.PruneWithOptions(object, c.structural, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return fmt.Errorf("unknown fields %q", unknown)
	}
	return nil
}
