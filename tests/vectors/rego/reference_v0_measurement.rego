package model_serving.decryption

env_required_measurement = data.required_measurement
