//! The one table of endpoints, which routing and `Allow` are read from.

use http::Method;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Register,
    Login,
    Refresh,
    Logout,
    LogoutAll,
    Me,
    Sessions,
    EndSession,
    Password,
    Jwks,
}

/// A path and what its methods do.
pub(super) struct Resource {
    /// Below the mount path; `{id}` stands for one segment.
    path: &'static str,
    pub(super) allow: &'static str,
    method: Method,
    endpoint: Endpoint,
}

impl Resource {
    pub(super) fn endpoint(&self, method: &Method) -> Option<Endpoint> {
        (*method == self.method).then_some(self.endpoint)
    }
}

const fn post(path: &'static str, endpoint: Endpoint) -> Resource {
    Resource { path, allow: "POST, OPTIONS", method: Method::POST, endpoint }
}

const fn get(path: &'static str, endpoint: Endpoint) -> Resource {
    Resource { path, allow: "GET, HEAD, OPTIONS", method: Method::GET, endpoint }
}

static TABLE: [Resource; 10] = [
    post("/register", Endpoint::Register),
    post("/login", Endpoint::Login),
    post("/refresh", Endpoint::Refresh),
    post("/logout", Endpoint::Logout),
    post("/logout-all", Endpoint::LogoutAll),
    get("/me", Endpoint::Me),
    get("/sessions", Endpoint::Sessions),
    Resource {
        path: "/sessions/{id}",
        allow: "DELETE, OPTIONS",
        method: Method::DELETE,
        endpoint: Endpoint::EndSession,
    },
    Resource { path: "/password", allow: "PUT, OPTIONS", method: Method::PUT, endpoint: Endpoint::Password },
    get("/.well-known/jwks.json", Endpoint::Jwks),
];

/// Finds the resource of a full path, and what its `{id}` is.
pub(super) fn find<'a>(mount_path: &str, path: &'a str) -> Option<(&'static Resource, &'a str)> {
    let rest = path.strip_prefix(mount_path)?;
    TABLE.iter().find_map(|resource| match resource.path.strip_suffix("{id}") {
        None => (resource.path == rest).then_some((resource, "")),
        Some(prefix) => {
            let id = rest.strip_prefix(prefix).filter(|id| !id.is_empty() && !id.contains('/'))?;
            Some((resource, id))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(method: &Method, path: &str) -> Option<Endpoint> {
        find("/auth", path).and_then(|(resource, _)| resource.endpoint(method))
    }

    #[test]
    fn full_paths_match_exactly() {
        assert_eq!(endpoint(&Method::POST, "/auth/login"), Some(Endpoint::Login));
        for path in
            ["/login", "/auth/login/", "/auth//login", "/auth/Login", "/authlogin", "/auth", "/auth/", "/x/auth/login"]
        {
            assert!(find("/auth", path).is_none(), "{path}");
        }
        assert!(find("/auth", "/auth/login").is_some_and(|(resource, _)| resource.endpoint(&Method::GET).is_none()));
    }

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(find("/auth", "/auth/sessions/abc").map(|(_, id)| id), Some("abc"));
        assert_eq!(endpoint(&Method::DELETE, "/auth/sessions/abc"), Some(Endpoint::EndSession));
        for path in ["/auth/sessions/", "/auth/sessions/a/b"] {
            assert!(find("/auth", path).is_none(), "{path}");
        }
    }

    #[test]
    fn at_the_root_the_mount_path_is_empty() {
        assert!(find("", "/login").is_some());
    }
}
