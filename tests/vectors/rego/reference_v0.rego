package model_serving.decryption

allow_decrypt = {"allowed": true, "justification": "Conditions met"} {
	input.environment.attestation_report.valid == true
	input.environment.attestation_report.measurement == env_required_measurement
	input.request.principal == "model-loader-sa"
	input.request.operation == "decrypt_for_vram_load"
	model := input.request.model_id
	tenant := input.request.tenant
	data.tenant_models[tenant][model] == true
}
