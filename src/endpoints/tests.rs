//! Tests that the service and its documentation agree with the specifications of the endpoints.

use std::collections::HashSet;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::ServiceExt;

use super::SPECS;
use crate::{
    auth::Auth,
    http::{
        endpoint::{Caller, CrossSiteRule, EndpointSpec},
        schema::SuccessSchema,
    },
    store::memory::MemoryStore,
    user::User,
};

fn auth() -> Auth<User> {
    let store = MemoryStore::new();
    Auth::builder(store.clone(), store)
        .issuer("https://example.com")
        .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
        .build()
        .unwrap()
}

async fn call(method: &Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(format!("/auth{}", path.replace("{id}", "x")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer: Response<_> = auth().routes().oneshot(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn lines(spec: &EndpointSpec, mount_path: &str) -> String {
    let methods: Vec<&str> = spec.methods.iter().map(Method::as_str).collect();
    format!("`{} {mount_path}{}`", methods.join(", "), spec.path)
}

#[test]
fn the_table_of_routes_lists_exactly_the_endpoints() {
    let source = include_str!("service.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("/// | `")).map(|row| format!("`{row}"));
    let rows: Vec<String> =
        rows.filter(|row| cfg!(feature = "openapi") || !row.contains("(feature `openapi`)")).collect();
    assert_eq!(rows.len(), SPECS.len());
    for (row, spec) in rows.iter().zip(SPECS) {
        assert!(row.starts_with(&lines(spec, "/auth")), "{row}: {:?}", spec.endpoint);
        let status = spec.status.as_str();
        assert!(row.rsplit('|').nth(1).is_some_and(|success| success.trim().starts_with(status)), "{row}: {status}");
    }
}

#[test]
fn each_name_of_an_endpoint_is_documented_with_its_path() {
    let source = include_str!("../http/endpoint.rs");
    for spec in SPECS {
        let variant = source.find(&format!("\n    {:?},\n", spec.endpoint)).unwrap();
        let before = source.get(..variant).unwrap();
        let doc = before.rsplit("    /// ").next().unwrap();
        assert!(doc.starts_with(&lines(spec, "")), "{:?}: {doc}", spec.endpoint);
    }
}

#[test]
fn each_specification_is_one_that_routing_can_serve() {
    let (mut endpoints, mut ids, mut paths) = (HashSet::new(), HashSet::new(), HashSet::new());
    for spec in SPECS {
        assert!(endpoints.insert(spec.endpoint) && ids.insert(spec.operation_id), "{:?}", spec.endpoint);
        assert!(spec.methods.iter().all(|method| paths.insert((method, spec.path))), "{:?}", spec.endpoint);
        let segments: Vec<&str> = spec.path.split('/').filter(|segment| segment.contains(['{', '}'])).collect();
        assert!(segments.len() <= 1, "{}: more than one parameter", spec.path);
        assert!(segments.iter().all(|it| it.starts_with('{') && it.ends_with('}')), "{}", spec.path);
        let without_body = matches!(spec.success, SuccessSchema::Nothing);
        assert_eq!(spec.status == StatusCode::NO_CONTENT, without_body, "{:?}", spec.endpoint);
    }
}

#[tokio::test]
async fn each_method_of_a_specification_is_answered_and_no_other() {
    for spec in SPECS {
        let (status, _) = call(&Method::PATCH, spec.path, &[]).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{:?}", spec.endpoint);
        for method in spec.methods {
            let (status, _) = call(method, spec.path, &[]).await;
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{:?}", spec.endpoint);
            assert_ne!(status, StatusCode::NOT_FOUND, "{:?}", spec.endpoint);
        }
    }
}

#[tokio::test]
async fn an_endpoint_asks_for_the_credentials_it_declares() {
    for spec in SPECS {
        for method in spec.methods {
            let (_, code) = call(method, spec.path, &[]).await;
            assert_eq!(code == "token_missing", spec.caller == Caller::AccessToken, "{:?}: {code}", spec.endpoint);
            assert_eq!(code == "refresh_missing", spec.caller == Caller::RefreshToken, "{:?}: {code}", spec.endpoint);
        }
    }
}

#[tokio::test]
async fn an_endpoint_checks_other_sites_as_it_declares() {
    const ELSEWHERE: (&str, &str) = ("sec-fetch-site", "cross-site");
    const BEARER: (&str, &str) = ("authorization", "Bearer x");
    const COOKIE: (&str, &str) = ("cookie", "__Host-refresh_token=x");
    for spec in SPECS {
        let [bare, bearer, both] = match spec.cross_site {
            CrossSiteRule::Unchecked => [false, false, false],
            CrossSiteRule::Always => [true, true, true],
            CrossSiteRule::UnlessBearer => [true, false, false],
            CrossSiteRule::UnlessBearerAlone => [true, false, true],
        };
        for (headers, refused) in [(vec![], bare), (vec![BEARER], bearer), (vec![BEARER, COOKIE], both)] {
            for method in spec.methods {
                let headers: Vec<_> = headers.iter().copied().chain([ELSEWHERE]).collect();
                let (_, code) = call(method, spec.path, &headers).await;
                assert_eq!(code == "cross_site", refused, "{:?} {headers:?}: {code}", spec.endpoint);
            }
        }
    }
}

#[tokio::test]
async fn json_without_cookies_passes_where_the_rule_says_so() {
    const ELSEWHERE: [(&str, &str); 3] = [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://elsewhere.example"),
        ("content-type", "application/json"),
    ];
    const COOKIE: (&str, &str) = ("cookie", "__Host-refresh_token=x");
    for spec in SPECS {
        let is_checked = spec.cross_site != CrossSiteRule::Unchecked;
        let is_refused = is_checked && !spec.cross_site.admits_without_cookies();
        for method in spec.methods {
            let (_, code) = call(method, spec.path, &ELSEWHERE).await;
            assert_eq!(code == "cross_site", is_refused, "{:?}: {code}", spec.endpoint);
            let with_cookie: Vec<_> = ELSEWHERE.into_iter().chain([COOKIE]).collect();
            let (_, code) = call(method, spec.path, &with_cookie).await;
            assert_eq!(code == "cross_site", is_checked, "{:?} with a cookie: {code}", spec.endpoint);
        }
    }
}
