//! One GET of a JWK set.
//!
//! It follows no redirect, decompresses nothing and uses no proxy. Its bytes and its time are
//! limited.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Builder, Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::keys::MAX_BYTES;

/// Why a document was not fetched, for the log.
pub(super) type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// Fetches the document at one URL.
pub(super) struct Fetcher {
    client: AnyClient,
    uri: Uri,
    timeout: Duration,
}

enum AnyClient {
    Plain(Client<HttpConnector, Empty<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
}

impl Fetcher {
    /// Prepares the client. Over https it trusts the certificate authorities of the operating
    /// system.
    ///
    /// # Errors
    /// A sentence that names the problem and its fix.
    pub(super) fn new(uri: Uri, timeout: Duration) -> Result<Self, String> {
        let mut builder = Client::builder(TokioExecutor::new());
        // Five minutes later a kept connection may be closed, so none is kept.
        builder.pool_max_idle_per_host(0).http1_max_buf_size(64 * 1024);
        let client = if uri.scheme_str() == Some("https") { tls(&builder)? } else { plain(&builder) };
        Ok(Self { client, uri, timeout })
    }

    /// Fetches the document.
    ///
    /// # Errors
    /// The cause. It may repeat text of the other side, so it is for the log only.
    pub(super) async fn fetch(&self) -> Result<String, FetchError> {
        tokio::time::timeout(self.timeout, self.get()).await.map_err(|_| "it took too long")?
    }

    async fn get(&self) -> Result<String, FetchError> {
        let request = Request::get(self.uri.clone())
            .header(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"))
            .header(header::USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))))
            .body(Empty::new())?;
        let response = match &self.client {
            AnyClient::Plain(client) => client.request(request).await,
            AnyClient::Tls(client) => client.request(request).await,
        }?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer has the status {}", response.status().as_u16()).into());
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await?;
        Ok(String::from_utf8(body.to_bytes().into())?)
    }
}

fn plain(builder: &Builder) -> AnyClient {
    AnyClient::Plain(builder.build(HttpConnector::new()))
}

fn tls(builder: &Builder) -> Result<AnyClient, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| format!("no certificate authorities to trust were found ({error}): install ca-certificates"))?
        .https_only()
        .enable_http1()
        .build();
    Ok(AnyClient::Tls(builder.build(connector)))
}
