//! Tests a users collection of a Mongoose app, which this crate uses as it is.

use std::{error::Error, time::Duration};

use mongodb::{
    Collection, Database,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
    options::IndexOptions,
};
use portcullis::{
    Profile, Registration,
    auth::{Check, ClientInfo},
    store::{
        PageLimit, UniqueField, UserAdmin, UserStore, conformance,
        mongodb::{MongoSessions, MongoUsers, UserFields},
    },
    user::{Email, Login, NewUser, PasswordHash, UserId},
};

use super::{auth, server::Server};
use crate::log_buffer::LogBuffer;
use crate::login::log_in;
use crate::sqlite::ROLES;
use crate::user_keys::{EMAILS, TYPED};

const PASSWORD: &str = "correct horse battery staple";

fn existing(database: &Database, fields: UserFields) -> MongoUsers {
    MongoUsers::existing(database, "users", fields).unwrap().with_timeout(Duration::from_secs(30))
}

/// Returns a hash as `bcrypt.hash(password, 10)` of Node.js makes it.
fn hash() -> String {
    bcrypt::hash_with_salt(PASSWORD, 10, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoB)
}

/// Returns a document as `User.create` writes it with the schema of the tutorials, with further
/// fields of this app.
fn document(username: &str, email: &str) -> Document {
    doc! {
        "_id": ObjectId::new(),
        "username": username,
        "fullName": "Ada Lovelace",
        "email": email,
        "password": hash(),
        "refreshToken": "eyJhbGciOiJIUzI1NiJ9.e30.canary",
        "cart": [{ "sku": "A-1", "count": 2 }, { "$odd": "kept" }],
        "nested": { "deep": { "null": null, "long": 9_007_199_254_740_993_i64 } },
        "createdAt": DateTime::from_millis(1_700_000_000_000),
        "updatedAt": DateTime::from_millis(1_700_000_000_000),
        "__v": 0,
    }
}

async fn read(collection: &Collection<Document>, id: ObjectId) -> Document {
    collection.find_one(doc! { "_id": id }).await.unwrap().unwrap()
}

#[tokio::test]
async fn users_of_a_mongoose_app_log_in_and_get_new_hashes() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let collection: Collection<Document> = database.collection("users");
    let seeded = document("Ada", "Ada@Example.com");
    let id = seeded.get_object_id("_id").unwrap();
    collection.insert_many([seeded.clone(), document("eve", "eve@example.com")]).await.unwrap();
    let users = existing(&database, UserFields::mongoose());
    let sessions = MongoSessions::new(&database).with_timeout(Duration::from_secs(30));
    for _ in 0..2 {
        users.migrate().await.unwrap();
    }
    sessions.migrate().await.unwrap();
    let auth = auth(users.clone(), sessions);

    let client = ClientInfo::unknown();
    let login = async |text: &str| log_in(&auth, text, PASSWORD).await;
    assert!(auth.login(&Login::either("ada"), "another password".into(), &client).await.is_err());
    let first = login("ADA@example.COM").await.unwrap();
    assert_eq!(first.user.id, UserId::from(id.to_hex()));
    assert_eq!((first.user.email.as_str(), first.user.name.as_deref()), ("Ada@Example.com", Some("Ada Lovelace")));
    assert_eq!(first.user.created_at.as_millis(), 1_700_000_000_000);

    let mut renewed = read(&collection, id).await;
    assert!(renewed.get_str("password").unwrap().starts_with("$argon2id$"));
    assert_eq!(renewed.remove("emailKey"), Some(Bson::from("ada@example.com")));
    assert_eq!(renewed.remove("usernameKey"), Some(Bson::from("ada")));
    renewed.insert("password", seeded.get_str("password").unwrap());
    assert_eq!(renewed, seeded, "nothing else was touched");

    let second = login("Ada").await.unwrap();
    let refreshed = auth.refresh(second.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    assert_eq!(refreshed.user.token_version, 0);
    auth.end_sessions_of(&first.user.id, &ClientInfo::unknown()).await.unwrap();
    for tokens in [&first.tokens, &refreshed.tokens] {
        assert!(auth.refresh(tokens.refresh_token.expose(), &ClientInfo::unknown()).await.is_err());
    }
    let third = login("ada").await.unwrap();
    assert_eq!(third.user.token_version, 1);
    let claims = auth.authenticate(third.tokens.access_token.expose(), Check::Session).await.unwrap().claims;
    auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
    assert_eq!(users.find_by_id(&first.user.id).await.unwrap().unwrap().token_version, 2);
    let left = read(&collection, id).await;
    for field in ["refreshToken", "cart", "nested", "updatedAt", "__v", "fullName"] {
        assert_eq!(left.get(field), seeded.get(field), "{field}");
    }
    let new_user = auth
        .register(Registration::new("New@example.com", PASSWORD, Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let new_user = read(&collection, ObjectId::parse_str(new_user.id.as_str()).unwrap()).await;
    assert_eq!(
        (new_user.get_str("email"), new_user.get_str("emailKey")),
        (Ok("New@example.com"), Ok("new@example.com"))
    );
    assert!(!new_user.contains_key("role") && !new_user.contains_key("username"));
}

#[tokio::test]
async fn an_existing_collection_keeps_every_promise() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let fresh = async || {
        let database = server.database().await;
        // The app's own index refuses an address in the same spelling.
        let unique = IndexOptions::builder().unique(true).build();
        let index = mongodb::IndexModel::builder().keys(doc! { "email": 1 }).options(unique).build();
        database.collection::<Document>("users").create_index(index).await.unwrap();
        let users = existing(&database, UserFields::mongoose());
        users.migrate().await.unwrap();
        users
    };
    conformance::users(&fresh, Profile::default).await.assert_kept();
    conformance::user_admin(&fresh, Profile::default, &ROLES).await.assert_kept();
    let users = fresh().await;
    let new = || {
        let email = "ada@example.com".parse::<Email>().unwrap();
        let now = portcullis::clock::Timestamp::from_secs(1_700_000_000);
        NewUser::new(email, None, PasswordHash::new("$argon2id$"), Profile::default(), now)
    };
    users.create(new()).await.unwrap();
    assert_eq!(users.create(new()).await.unwrap_err().duplicate_field(), Some(UniqueField::Email));
}

#[tokio::test]
async fn users_who_differ_only_in_case_are_named() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let collection: Collection<Document> = database.collection("users");
    let twins = [document("ada", "Twin@example.com"), document("eve", "twin@Example.com")];
    let ids = twins.each_ref().map(|twin| twin.get_object_id("_id").unwrap());
    collection.insert_many(twins).await.unwrap();
    let users = existing(&database, UserFields::mongoose());
    let refused = users.migrate().await.unwrap_err();
    let cause = refused.source().unwrap().to_string();
    for id in ids {
        assert!(cause.contains(&id.to_hex()), "{cause}");
    }
    assert!(cause.contains("e-mail address") && !cause.contains("twin@"), "{cause}");
    let rename = doc! { "$set": { "email": "other@example.com" } };
    collection.update_one(doc! { "_id": ids[1] }, rename).await.unwrap();
    users.migrate().await.unwrap();
    let found = users.find_by_login(&Login::email("OTHER@example.com")).await.unwrap().unwrap();
    assert_eq!(found.id.as_str(), ids[1].to_hex());
}

#[tokio::test]
async fn changes_of_the_other_app_are_found_at_the_next_start() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let collection: Collection<Document> = database.collection("users");
    let seeded = ["ada", "eve", "bob", "joe"].map(|name| document(name, &format!("{name}@example.com")));
    let [ada, eve, bob, joe] = seeded.each_ref().map(|user| user.get_object_id("_id").unwrap());
    collection.insert_many(seeded).await.unwrap();
    let umlaut = document("uwe", "Ünal@example.com");
    collection.insert_one(&umlaut).await.unwrap();
    let users = existing(&database, UserFields::mongoose());
    users.migrate().await.unwrap();

    // Two users exchange their addresses, one has none any more, and one has a new address that
    // only Unicode rules can fold.
    for (id, change) in [
        (ada, doc! { "$set": { "email": "Eve@example.com", "username": "eve" } }),
        (eve, doc! { "$set": { "email": " ada@example.com", "username": "Ada" } }),
        (bob, doc! { "$set": { "email": null }, "$unset": { "username": "" } }),
        (joe, doc! { "$set": { "email": "JOÉ@example.com" } }),
    ] {
        collection.update_one(doc! { "_id": id }, change).await.unwrap();
    }
    users.migrate().await.unwrap();
    let found = async |login: &str| users.find_by_login(&Login::either(login)).await.unwrap().map(|user| user.id);
    for (login, id) in [
        ("eve@example.com", Some(ada)),
        ("eve", Some(ada)),
        ("ada@example.com", Some(eve)),
        ("ada", Some(eve)),
        ("bob@example.com", None),
        ("bob", None),
        ("joé@example.com", Some(joe)),
        ("joe@example.com", None),
        ("joe", Some(joe)),
        ("ünal@example.com", Some(umlaut.get_object_id("_id").unwrap())),
    ] {
        assert_eq!(found(login).await, id.map(|id| UserId::from(id.to_hex())), "{login}");
    }

    // The user has the same address as another one. The error names both, without their addresses.
    let twin = doc! { "$set": { "email": "EVE@example.com" } };
    collection.update_one(doc! { "_id": joe }, twin).await.unwrap();
    let refused = users.migrate().await.unwrap_err();
    let cause = refused.source().unwrap().to_string();
    for id in [ada, joe] {
        assert!(cause.contains(&id.to_hex()), "{cause}");
    }
    assert!(cause.contains("e-mail address") && !cause.to_lowercase().contains("eve@"), "{cause}");
    assert_eq!(found("eve@example.com").await, Some(UserId::from(ada.to_hex())));
}

/// Tests documents with and without the keys of an earlier release, which are in Rust's lower case.
#[tokio::test]
async fn the_keys_of_an_earlier_release_are_replaced() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    for with_keys in [true, false] {
        let database = server.database().await;
        let collection: Collection<Document> = database.collection("users");
        let mut ids = Vec::new();
        for (number, email) in EMAILS.iter().enumerate() {
            let mut user = document(&format!("user{number}"), email);
            if with_keys {
                user.insert("emailKey", email.to_lowercase());
                user.insert("usernameKey", format!("user{number}"));
            }
            ids.push(UserId::from(user.get_object_id("_id").unwrap().to_hex()));
            collection.insert_one(user).await.unwrap();
        }
        let users = existing(&database, UserFields::mongoose());
        let auth = auth(users.clone(), MongoSessions::new(&database));
        let (log, guard) = LogBuffer::collect();
        users.migrate().await.unwrap();
        drop(guard);
        for (typed, user) in TYPED {
            let answer = log_in(&auth, typed, PASSWORD).await;
            let found = answer.ok().map(|logged_in| logged_in.user.id);
            assert_eq!(found, user.map(|user| ids[user].clone()), "{typed}, keys: {with_keys}");
        }
        let log = log.text();
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        assert!(ids[3..=4].iter().all(|id| log.contains(id.as_str())), "{log}");
        assert!(!log.contains('@') && !log.to_lowercase().contains("ζεύ"), "{log}");

        // The next start changes nothing, and warns again.
        let before = read(&collection, ObjectId::parse_str(ids[3].as_str()).unwrap()).await;
        users.migrate().await.unwrap();
        assert_eq!(read(&collection, ObjectId::parse_str(ids[3].as_str()).unwrap()).await, before);
        // When the other user is removed, the address belongs to this user alone.
        assert!(users.remove_user(&ids[4]).await.unwrap());
        users.migrate().await.unwrap();
        let found = users.find_by_login(&Login::email("ζεύσ@example.com")).await.unwrap();
        assert_eq!(found.map(|user| user.id), Some(ids[3].clone()));
    }
}

#[tokio::test]
async fn fields_are_read_as_apps_write_them() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let collection: Collection<Document> = database.collection("users");
    let fields = UserFields::mongoose().name("displayName").enabled("isActive");
    let users = existing(&database, fields);
    let seed = async |fields: Document| {
        let id = ObjectId::new();
        let mut document = doc! { "_id": id, "email": format!("{}@example.com", id.to_hex()) };
        document.extend(fields);
        collection.insert_one(document).await.unwrap();
        UserId::from(id.to_hex())
    };
    let bare = seed(doc! {}).await;
    let full = seed(doc! { "role": "admin", "tokenVersion": 3.0, "isActive": false, "displayName": "Ada" }).await;
    let many = seed(doc! { "role": ["a", "b"], "tokenVersion": 4, "isActive": true, "password": null }).await;
    let nulls = seed(doc! { "role": null, "tokenVersion": null, "isActive": null, "username": null }).await;
    let find = async |id: &UserId| users.find_by_id(id).await.unwrap().unwrap();

    let user = find(&bare).await;
    assert_eq!((user.token_version, user.roles.len(), user.disabled), (0, 0, false));
    assert!(user.created_at.as_secs() > 1_700_000_000, "the id tells when");
    let user = find(&full).await;
    assert_eq!((user.token_version, user.roles, user.disabled), (3, vec!["admin".to_owned()], true));
    assert_eq!(user.name.as_deref(), Some("Ada"));
    let user = find(&many).await;
    assert_eq!((user.token_version, user.roles.len(), user.disabled), (4, 2, false));
    assert_eq!(find(&nulls).await.token_version, 0);

    for (id, version) in [(&bare, 1), (&full, 4), (&many, 5), (&nulls, 1)] {
        assert_eq!(users.bump_token_version(id).await.unwrap(), Some(version));
    }
    assert!(users.set_roles(&bare, &["admin".into()]).await.unwrap());
    assert_eq!(find(&bare).await.roles, ["admin"]);
    assert!(users.set_roles(&bare, &["a".into(), "b".into()]).await.is_err(), "there is room for one");
    assert!(users.set_disabled(&bare, true).await.unwrap());
    assert!(find(&bare).await.disabled);
    for strange in [doc! { "isActive": "no" }, doc! { "password": 7 }, doc! { "tokenVersion": -1 }, doc! { "role": 7 }]
    {
        let id = seed(strange.clone()).await;
        let error = users.find_by_id(&id).await.unwrap_err();
        assert!(!error.is_unavailable(), "{strange}");
    }
    for bad in ["a.b", "$a", "", "_id", "email"] {
        assert!(MongoUsers::existing(&database, "users", UserFields::mongoose().name(bad)).is_err(), "{bad:?}");
    }
}

/// Logs in a user whose id has another type, and runs every flow for them.
async fn logs_in(auth: &portcullis::Auth<portcullis::User>, users: &MongoUsers, name: &str, id: &Bson) -> UserId {
    let client = ClientInfo::unknown();
    let wrong = async |name: &str| {
        let refused = auth.login(&Login::either(name), "another password".into(), &client).await.unwrap_err();
        (refused.kind(), refused.to_string())
    };
    assert_eq!(wrong(name).await, wrong("unknown").await, "{id:?}: the answer shows that there is such a user");
    let first = log_in(auth, name, PASSWORD).await.unwrap_or_else(|error| panic!("{id:?}: {error:?}"));
    let user = first.user.id.clone();
    let second = auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    assert_eq!(second.user.id, user);
    let access = second.tokens.access_token.expose();
    let loaded = auth.authenticate(access, Check::User).await.unwrap();
    assert_eq!(loaded.user.unwrap().username.as_deref(), Some(name));
    assert!(users.set_roles(&user, &["editor".to_owned()]).await.unwrap());
    auth.change_password(&loaded.claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
    assert_eq!(users.find_by_id(&user).await.unwrap().unwrap().token_version, 1);
    auth.end_sessions_of(&user, &ClientInfo::unknown()).await.unwrap();
    user
}

#[tokio::test]
async fn users_of_every_type_of_id_log_in() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let collection: Collection<Document> = database.collection("users");
    let hex = ObjectId::new();
    let uuid = mongodb::bson::Uuid::from_bytes([7; 16]);
    let ids = [
        Bson::ObjectId(hex),
        // A text of the same digits is another user. So is a text that looks like the user id of
        // another type.
        Bson::from(hex.to_hex()),
        Bson::from("ada"),
        Bson::from(uuid),
        Bson::from(uuid.to_string()),
        Bson::from(format!("uuid:{uuid}")),
        Bson::Int32(42),
        Bson::Int64(9_007_199_254_740_993),
        Bson::Double(1.5),
        Bson::from("42"),
        Bson::from("number:42"),
        Bson::from(doc! { "tenant": 1, "user": "ada" }),
    ];
    for (n, id) in ids.iter().enumerate() {
        let mut user = document(&format!("user{n}"), &format!("user{n}@example.com"));
        user.insert("_id", id);
        collection.insert_one(user).await.unwrap();
    }
    // A user whose id is too long for a token counts as absent.
    let mut long = document("long", "long@example.com");
    long.insert("_id", "x".repeat(300));
    collection.insert_one(long).await.unwrap();
    let users = existing(&database, UserFields::mongoose());
    let sessions = MongoSessions::new(&database).with_timeout(Duration::from_secs(30));
    users.migrate().await.unwrap();
    sessions.migrate().await.unwrap();
    let auth = auth(users.clone(), sessions);
    let mut seen = std::collections::HashSet::new();
    for (n, id) in ids.iter().enumerate() {
        let user = logs_in(&auth, &users, &format!("user{n}"), id).await;
        assert!(seen.insert(user), "{id:?} is another's");
        let left = collection.find_one(doc! { "_id": id }).await.unwrap().unwrap();
        assert_eq!(left.get("_id"), Some(id), "its type is as it was");
    }
    let refused = auth.login(&Login::either("long"), PASSWORD.into(), &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!(refused.kind(), portcullis::ErrorKind::InvalidCredentials);
    // A page after another goes from the ids of one type to those of the next, and past the long
    // one.
    for limit in [1, 2, ids.len(), PageLimit::MAX] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = users.list_users(after.as_ref(), PageLimit::new(limit)).await.unwrap();
            listed.extend(page.users.into_iter().map(|user| user.id));
            after = page.next;
            if after.is_none() {
                break;
            }
            assert!(listed.len() < ids.len(), "{listed:?}");
        }
        assert_eq!(listed.len(), ids.len(), "{limit}: {listed:?}");
        assert!(listed.iter().all(|id| seen.contains(id)), "{limit}: {listed:?}");
    }
    for (n, user) in seen.iter().enumerate() {
        assert!(users.remove_user(user).await.unwrap());
        assert_eq!(collection.count_documents(doc! {}).await.unwrap(), ids.len() as u64 - n as u64);
    }
}
