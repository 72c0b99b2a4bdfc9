//! Two nodes over one store: a user logs in and out on both at once.

use std::net::SocketAddr;

use crate::client::{Request, Response};
use crate::server::{Launch, Server, TWO_NODES, poll_until};

/// The first node is the server itself. Its second line says where the second node listens.
struct Nodes {
    one: Server,
    other: SocketAddr,
}

impl Nodes {
    #[track_caller]
    fn start(launch: Launch) -> Self {
        let one = launch.start();
        let other = poll_until("the second node listens", || {
            let log = one.log();
            let mut lines = log.lines().filter_map(|line| line.strip_prefix("listening on http://"));
            lines.find_map(|addr| addr.parse().ok().filter(|addr| *addr != one.addr))
        });
        Nodes { one, other }
    }

    /// Starts nodes that poll so rarely that within a test the second one learns of revocations
    /// only by the feed.
    #[track_caller]
    fn with_rare_polls() -> Self {
        Nodes::start(Launch::new(TWO_NODES).env("REVOCATION_POLL", "60s"))
    }

    fn other(&self, method: &str, target: &str) -> Request<'static> {
        Request::new(self.other, method, target)
    }

    /// Waits until the second node refuses this token, and asserts that both do.
    #[track_caller]
    fn both_refuse(&self, token: &str) {
        let refused = |answer: Response| (answer.status != 200).then_some(answer);
        let ask_other = || refused(self.other("GET", "/profile").bearer(token).send());
        poll_until("the other node hears of it", ask_other).token_refused("token_revoked");
        self.one.get("/profile").bearer(token).send().token_refused("token_revoked");
    }
}

#[test]
fn what_one_node_signs_the_other_takes_and_refreshes() {
    for launch in [Launch::new(TWO_NODES), Launch::bare(TWO_NODES).env("INSECURE_COOKIES", "1")] {
        let nodes = Nodes::start(launch);
        let lovelace = nodes.one.register("lovelace");
        nodes.other("GET", "/profile").bearer(&lovelace.access()).send().expect(200);

        let refreshed = nodes.other("POST", "/auth/refresh").cookie("refresh_token", &lovelace.refresh()).send();
        let next = refreshed.expect(200).set_cookie("refresh_token").value;
        let access = nodes.one.refresh_with(&next).expect(200).set_cookie("access_token").value;
        nodes.other("GET", "/profile").bearer(&access).send().expect(200);
        nodes.other("GET", "/").send().expect(200);
    }
}

#[test]
fn what_ends_on_one_node_has_ended_on_the_other_before_its_poll() {
    let nodes = Nodes::with_rare_polls();
    for way in ["logout", "logout_all", "disable"] {
        let mut browser = nodes.one.register(way);
        let (access, refresh) = (browser.access(), browser.refresh());
        nodes.other("GET", "/profile").bearer(&access).send().expect(200);
        match way {
            "logout" => browser.post("/auth/logout").send().expect(204),
            "logout_all" => browser.post("/auth/logout-all").send().expect(204),
            _ => {
                let profile = browser.get("/profile").send().json();
                let sub = profile["sub"].as_str().expect("an id");
                nodes.one.admin().post(&format!("/admin/users/{sub}/disable")).send().expect(204)
            }
        };
        nodes.both_refuse(&access);
        let refreshed = nodes.other("POST", "/auth/refresh").cookie("refresh_token", &refresh).send();
        refreshed.problem(401, "refresh_invalid");
    }
}
