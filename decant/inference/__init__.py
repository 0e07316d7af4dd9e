"""ONNX folders: written by export_onnx, read by evaluate, register and predict."""
