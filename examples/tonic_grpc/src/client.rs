//! The client of the services: one subcommand for each method, with the token that `/auth/register`
//! or `/auth/login` answered.

use tonic::{Request, Status, metadata::MetadataValue, transport::Endpoint};

use crate::{
    notes::proto::{
        AddRequest, ClearRequest, DescribeRequest, Note, WatchRequest, info_client::InfoClient,
        notes_client::NotesClient,
    },
    support::{self, BoxError},
};

const USAGE: &str = "usage: describe | add TOKEN TEXT | watch TOKEN | clear TOKEN";

pub(crate) async fn run(arguments: &[String]) -> Result<(), BoxError> {
    let failed = |error: BoxError| match error.downcast_ref::<Status>() {
        Some(status) => format!("{:?}: {}", status.code(), status.message()).into(),
        None => error,
    };
    call(arguments).await.map_err(failed)
}

async fn call(arguments: &[String]) -> Result<(), BoxError> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let channel = Endpoint::from_shared(format!("http://{}", support::addr()?))?.connect_lazy();
    let mut notes = NotesClient::new(channel.clone());
    match *arguments {
        ["describe"] => {
            let reply = InfoClient::new(channel).describe(DescribeRequest {}).await?;
            println!("{} notes", reply.into_inner().notes);
        }
        ["add", token, text] => {
            let request = with_token(token, AddRequest { text: text.to_owned() })?;
            show(&notes.add(request).await?.into_inner());
        }
        ["watch", token] => {
            let mut added = notes.watch(with_token(token, WatchRequest {})?).await?.into_inner();
            println!("watching");
            while let Some(note) = added.message().await? {
                show(&note);
            }
        }
        ["clear", token] => {
            let reply = notes.clear(with_token(token, ClearRequest {})?).await?;
            println!("{} notes cleared", reply.into_inner().cleared);
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// Adds the token to the metadata. They are the headers of the call, where the guard looks for it.
fn with_token<T>(token: &str, message: T) -> Result<Request<T>, BoxError> {
    let mut request = Request::new(message);
    let mut bearer: MetadataValue<_> = format!("Bearer {token}").parse()?;
    bearer.set_sensitive(true);
    request.metadata_mut().insert("authorization", bearer);
    Ok(request)
}

fn show(note: &Note) {
    println!("{}: {}", note.by, note.text);
}
