# Who gets a model's key. Lethe asks `data.model_serving.decryption.allow_decrypt` before it
# releases one.
#
# Input: `request` (principal, operation, model_id, tenant) and `environment.attestation_report`
# (valid, measurement), as Lethe has verified them.
#
# Data:
#
#	{"required_measurement": "sha256:...", "tenant_models": {"acme": {"llama": true}}}
package model_serving.decryption

allow_decrypt := {"allowed": true, "justification": "Conditions met"} if {
	input.environment.attestation_report.valid == true
	input.environment.attestation_report.measurement == env_required_measurement
	input.request.principal == "model-loader-sa"
	input.request.operation == "decrypt_for_vram_load"
	model := input.request.model_id
	tenant := input.request.tenant
	data.tenant_models[tenant][model] == true
}

env_required_measurement := data.required_measurement
