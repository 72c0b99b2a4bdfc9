//! An app with a users table of its own: its members log in, new ones register, and sessions
//! survive a restart.

use serde_json::json;

use crate::server::{ADMIN_EMAIL, EXISTING_APP, PASSWORD};
use crate::sqlite::Database;

#[test]
fn members_of_old_and_new_ones_use_one_table() {
    // A hash as the app would have it.
    let before = Database::new();
    let server = before.launch_example(EXISTING_APP).start();
    server.register("somebody");
    server.stop();
    let hash = before.ask("SELECT pw FROM members WHERE mail = 'somebody@example.com'").expect("they are there");
    assert!(hash.starts_with("$argon2id$") && !hash.contains('\''), "{hash}");

    let database = Database::new();
    for statement in [
        "CREATE TABLE members (member_id INTEGER PRIMARY KEY AUTOINCREMENT, mail TEXT NOT NULL, pw TEXT NOT NULL, \
         full_name TEXT NOT NULL DEFAULT '', is_staff INTEGER NOT NULL DEFAULT 0, banned INTEGER NOT NULL DEFAULT 0)"
            .to_owned(),
        format!(
            "INSERT INTO members (member_id, mail, pw, full_name, is_staff) \
             VALUES (41, 'Grace.Hopper@Example.COM', '{hash}', 'Grace', 1)"
        ),
        format!("INSERT INTO members (member_id, mail, pw, banned) VALUES (42, 'eve@example.com', '{hash}', 1)"),
    ] {
        database.ask(statement.leak());
    }
    let server = database.launch_example(EXISTING_APP).start();

    let mut grace = server.log_in_as("grace.hopper@example.com", PASSWORD);
    let account = grace.get("/account").send().expect(200).json();
    assert_eq!(account, json!({"member_id": 41, "mail": "Grace.Hopper@Example.COM", "full_name": "Grace"}));
    grace.get("/admin").send().expect(200);
    let banned = json!({"email": "eve@example.com", "password": PASSWORD});
    server.post("/auth/login").json(&banned).send().problem(401, "invalid_credentials");

    let mut ada = server.browser();
    let joining = json!({"email": "ada@example.com", "password": PASSWORD, "full_name": "Ada", "is_staff": true});
    let joined = ada.post("/auth/register").json(&joining).send().expect(201).json();
    assert_eq!(joined["user"]["full_name"], "Ada");
    ada.get("/admin").send().problem(403, "insufficient_role");
    let taken = json!({"email": "GRACE.hopper@example.com", "password": PASSWORD});
    server.post("/auth/register").json(&taken).send().problem(409, "email_taken");
    let refresh = ada.refresh();
    server.stop();

    let server = database.launch_example(EXISTING_APP).start();
    let again = server.refresh_with(&refresh).expect(200);
    let access = again.set_cookie("access_token").value;
    let change = json!({"current_password": PASSWORD, "new_password": "another vermilion otter 8"});
    server.put("/auth/password").bearer(&access).json(&change).send().expect(200);
    server.log_in_as("ada@example.com", "another vermilion otter 8");

    let id = joined["user"]["member_id"].as_i64().expect("an id");
    let mut admin = server.log_in_as(ADMIN_EMAIL, crate::server::ADMIN_PASSWORD);
    admin.post(&format!("/admin/users/{id}/disable")).send().expect(204);
    let login = json!({"email": "ada@example.com", "password": "another vermilion otter 8"});
    server.post("/auth/login").json(&login).send().problem(401, "invalid_credentials");
}
