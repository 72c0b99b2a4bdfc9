//! The `OpenAPI` document describes what is mounted, nothing else, and what is answered.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis::{
    Auth, AuthUser,
    http::{Endpoint, FailureBody, ResponseFormat, SuccessBody},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fixture::World;

async fn ask<U: AuthUser>(auth: &Auth<U>, method: Method, path: &str) -> http::Response<Bytes> {
    let request = Request::builder().method(method).uri(path).body(Full::<Bytes>::default()).unwrap();
    let (parts, body) = auth.routes().oneshot(request).await.unwrap().into_parts();
    http::Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn document<U: AuthUser>(auth: &Auth<U>, path: &str) -> Value {
    let answer = ask(auth, Method::GET, path).await;
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    let document: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    document
}

fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let methods =
        |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect::<Vec<_>>();
    let all = paths.iter().flat_map(|(path, item)| methods(item).into_iter().map(|method| (path.clone(), method)));
    all.collect()
}

/// Checks that every path of the document exists, with these methods and no other.
async fn assert_mounted<U: AuthUser>(auth: &Auth<U>, document: &Value) {
    let operations = operations(document);
    for path in operations.iter().map(|(path, _)| path).collect::<BTreeSet<_>>() {
        let mut described: BTreeSet<_> =
            operations.iter().filter(|(other, _)| other == path).map(|(_, method)| method.as_str()).collect();
        if described.contains("GET") {
            described.insert("HEAD");
        }
        described.insert("OPTIONS");
        let answer = ask(auth, Method::OPTIONS, &path.replace("{id}", "x")).await;
        let allow = answer.headers()["allow"].to_str().unwrap();
        assert_eq!(allow.split(", ").collect::<BTreeSet<_>>(), described, "{path}");
    }
}

#[tokio::test]
async fn every_endpoint_is_described_and_mounted() {
    let auth = World::new().node();
    let document = document(&auth, "/auth/openapi.json").await;
    assert_eq!(document, serde_json::from_str::<Value>(&auth.openapi().unwrap()).unwrap());
    let said = operations(&document);
    let table = [
        ("/auth/register", "POST"),
        ("/auth/login", "POST"),
        ("/auth/refresh", "POST"),
        ("/auth/logout", "POST"),
        ("/auth/logout-all", "POST"),
        ("/auth/me", "GET"),
        ("/auth/sessions", "GET"),
        ("/auth/sessions/{id}", "DELETE"),
        ("/auth/password", "PUT"),
        ("/auth/.well-known/jwks.json", "GET"),
        ("/auth/openapi.json", "GET"),
    ];
    assert_eq!(said, table.iter().map(|(path, method)| ((*path).to_owned(), (*method).to_owned())).collect());
    assert_mounted(&auth, &document).await;
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    assert_eq!(schemes["access_cookie"]["name"], "__Host-access_token");
    assert_eq!(document["paths"]["/auth/me"]["get"]["security"], json!([{"bearer": []}, {"access_cookie": []}]));
}

#[tokio::test]
async fn moved_and_removed_endpoints_are_described() {
    let auth = World::new().node_with(|builder| {
        let builder = builder.mount_path("/").endpoint_path(Endpoint::Me, "/session");
        let builder = builder.endpoint_path(Endpoint::Logout, "/session").without_endpoint(Endpoint::Register);
        builder.endpoint_path(Endpoint::OpenApi, "/api.json").response_format(ResponseFormat::Envelope)
    });
    let document = document(&auth, "/api.json").await;
    assert_mounted(&auth, &document).await;
    let said = operations(&document);
    let has = |path: &str, method: &str| said.contains(&(path.to_owned(), method.to_owned()));
    assert!(has("/session", "GET") && has("/session", "POST") && has("/refresh-token", "POST"));
    assert!(!has("/register", "POST") && !has("/me", "GET"));
    let ids: Vec<_> =
        said.iter().map(|(path, method)| &document["paths"][path][method.to_lowercase()]["operationId"]).collect();
    let unique: BTreeSet<_> = ids.iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(ids.len(), unique.len());
    let user = &document["components"]["schemas"]["User"]["properties"];
    assert!(user.get("_id").is_some() && user.get("id").is_none());
}

#[tokio::test]
async fn bodies_of_the_app_are_left_open() {
    let auth = World::new().node_with(|builder| {
        builder.success_body(|success: SuccessBody| success).failure_body(|failure: FailureBody| failure.kind.code())
    });
    let document = document(&auth, "/auth/openapi.json").await;
    let me = &document["paths"]["/auth/me"]["get"]["responses"];
    for status in ["200", "401"] {
        assert_eq!(me[status]["content"]["application/json"]["schema"], json!({}));
    }
}
