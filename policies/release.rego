# Who gets a model's key. Lethe asks `data.model_serving.decryption.allow_decrypt` before it
# releases one to a machine that attests itself.
#
# Input, as Lethe has verified it: `request` (principal, operation, model_id, tenant, and more) and
# `environment.attestation_report` (valid, measurement, the reference value that it fits, claims);
# docs/release-protocol.md has all of it.
#
# A state of a machine is good when it fits a reference value that the operator has added, or is
# the one measurement that data name. Data:
#
#	{"required_measurement": "sha256:...", "tenant_models": {"acme": {"llama": true}}}
package model_serving.decryption

allow_decrypt := {"allowed": true, "justification": "Conditions met"} if {
	input.environment.attestation_report.valid == true
	measurement_accepted
	input.request.principal == "model-loader-sa"
	input.request.operation == "decrypt_for_vram_load"
	model := input.request.model_id
	tenant := input.request.tenant
	data.tenant_models[tenant][model] == true
}

measurement_accepted if input.environment.attestation_report.measurement == env_required_measurement

measurement_accepted if is_object(input.environment.attestation_report.reference)

env_required_measurement := data.required_measurement
