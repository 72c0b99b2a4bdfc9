//! Tests every property of sessions in Redis. Without a `redis-server` the test is left out, unless
//! servers are required.

use portcullis_properties::{properties, redis::Redis, run::Run};

use crate::redis_process::{can_run_redis, start_redis};

#[test]
fn every_property_holds_for_redis() {
    if !can_run_redis() {
        return;
    }
    let mut server = start_redis(&[]);
    server.wait();
    if let Err(failure) = properties::suite(&Redis(format!("redis://{}/", server.addr())), Run::from_env().sparing(32))
    {
        panic!("{failure}");
    }
}
