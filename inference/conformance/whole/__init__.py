"""Whole models beside onnxruntime: right answers, and what they cost."""
