//! The `OpenAPI` 3.1 document (feature `openapi`). It reads the specifications of the endpoints and nothing else about them.

mod document;
mod schemas;
