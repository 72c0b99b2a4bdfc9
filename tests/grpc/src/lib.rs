//! A gRPC service written by hand, without `protoc`: its messages are texts.
//!
//! `Who` answers whose token it was called with; `Echo` answers each message as it comes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut};
use portcullis::Claims;
use tokio_stream::{Stream, StreamExt};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService, StreamingService, UnaryService},
};
use tower::Service;

/// The path of the unary method.
pub const WHO: &str = "/portcullis.Notes/Who";
/// The path of the method that streams both ways.
pub const ECHO: &str = "/portcullis.Notes/Echo";

/// Messages as their UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| Status::invalid_argument("not UTF-8"))
    }
}

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes;

impl NamedService for Notes {
    const NAME: &'static str = "portcullis.Notes";
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

impl UnaryService<String> for Notes {
    type Response = String;
    type Future = Answer<Response<String>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let who = request.extensions().get::<Claims>().map(|claims| claims.subject().to_string());
        Box::pin(async move { Ok(Response::new(format!("{} to {}", request.into_inner(), who.unwrap_or_default()))) })
    }
}

impl StreamingService<String> for Notes {
    type Response = String;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;
    type Future = Answer<Response<Self::ResponseStream>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let echoes: Self::ResponseStream = Box::pin(request.into_inner().map(|message| Ok(message? + "!")));
        Box::pin(async move { Ok(Response::new(echoes)) })
    }
}

impl<B> Service<http::Request<B>> for Notes
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                WHO => Grpc::new(Text).unary(Self, request).await,
                ECHO => Grpc::new(Text).streaming(Self, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}
