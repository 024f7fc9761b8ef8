"""Parts of the end-to-end tests: servers, the gateway under test, producers, and the checker."""
