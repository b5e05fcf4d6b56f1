"""The matrix-form cost model."""
