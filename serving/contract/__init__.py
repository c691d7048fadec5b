"""The contract of `POST /invocations`: bytes of a request to rows of numbers, predictions to bytes. Pure."""
