//! What the benchmarks share. Nothing here is published.
//!
//! | benchmark | question |
//! |---|---|
//! | `session` | does any operation on sessions, or the guard, cost more where there are more sessions? |
//! | `stores` | does a login or a refresh cost more where a database has more users? |
//! | `footprint` | how many bytes is an idle session, how many allocations a request? |
//! | `server` | what is left of that on a whole server, per request, of its processor time? |
//! | `layer` | what does the guard add to a service, and what would a middleware by hand on `jsonwebtoken`? |
//! | `verify` | the token alone: against `jsonwebtoken`, against the signature alone, against a minimum by hand |
//! | `instructions` | the same in instructions, which do not drift; needs valgrind |
//! | `password` | how many logins are there in a second? |
//! | `responsiveness` | do other requests stay quick while many log in? |
//! | `storm` | the same of a whole server on one core, beside servers by hand |
//!
//! ```sh
//! cargo bench -p portcullis-benches --bench session
//! cargo bench -p portcullis-benches --bench session -- refresh
//! ```
//!
//! Each finishes within 90 s on two cores, `stores` within some minutes. Criterion measures each
//! case by itself and compares it with the run before. The tables are measured afterwards, all
//! cases of a table in turns, so that a disturbance of the machine hits them alike. Read ratios
//! there. See [`cases`].

pub mod cases;
pub mod handwritten_peer;
pub mod logins;
pub mod requests;
pub mod rng;
pub mod setup;
pub mod tokens;
