package model_serving.decryption_test

import data.model_serving.decryption

good := {
	"environment": {"attestation_report": {"valid": true, "measurement": "sha256:good"}},
	"request": {
		"principal": "model-loader-sa",
		"operation": "decrypt_for_vram_load",
		"model_id": "llama",
		"tenant": "acme",
	},
}

decide(given) := answer if {
	answer := decryption.allow_decrypt with input as given
		with data.required_measurement as "sha256:good"
		with data.tenant_models as {"acme": {"llama": true, "retired": false, "planned": "yes"}}
}

with_change(path, value) := json.patch(good, [{"op": "replace", "path": path, "value": value}])

test_all_conditions_met if {
	decide(good) == {"allowed": true, "justification": "Conditions met"}
}

test_any_other_value_is_refused if {
	not decide(with_change("/environment/attestation_report/valid", false))
	not decide(with_change("/environment/attestation_report/valid", "true"))
	not decide(with_change("/environment/attestation_report/measurement", "sha256:bad"))
	not decide(with_change("/request/principal", "somebody"))
	not decide(with_change("/request/operation", "export"))
	not decide(with_change("/request/model_id", "mistral"))
	not decide(with_change("/request/model_id", "retired"))
	not decide(with_change("/request/model_id", "planned"))
	not decide(with_change("/request/tenant", "other"))
}

test_whatever_is_missing_is_refused if {
	every path in [
		"/environment/attestation_report/valid",
		"/environment/attestation_report/measurement",
		"/request/principal",
		"/request/operation",
		"/request/model_id",
		"/request/tenant",
		"/environment",
		"/request",
	] {
		not decide(json.remove(good, [path]))
	}
}

test_without_data_nothing_is_released if {
	not decryption.allow_decrypt with input as good
	not decryption.allow_decrypt with input as good with data.required_measurement as "sha256:good"
	not decryption.allow_decrypt with input as good with data.tenant_models as {"acme": {"llama": true}}
}

with_reference(reference) := json.patch(
	with_change("/environment/attestation_report/measurement", "sha256:bad"),
	[{"op": "add", "path": "/environment/attestation_report/reference", "value": reference}],
)

test_a_reference_value_is_as_good if {
	decide(with_reference({"name": "prod", "version": 2})).allowed
	not decide(with_reference(null))
	not decide(with_reference("prod"))
	not decide(json.patch(
		with_reference({"name": "prod", "version": 2}),
		[{"op": "replace", "path": "/environment/attestation_report/valid", "value": false}],
	))
}
