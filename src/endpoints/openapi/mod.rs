//! Writes the `OpenAPI` 3.1 document (feature `openapi`) from the specifications of the endpoints.

mod document;
mod schemas;
