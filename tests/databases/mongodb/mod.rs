//! MongoDB.

mod server;

use portcullis::{store::conformance, user::Profile};

use self::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_keeps_every_promise() {
    let server = Server::start().await;
    let fresh = async || server.store().await;
    conformance::sessions(&fresh).await.assert_kept();
    conformance::users(&fresh, Profile::default).await.assert_kept();
}
