//! Describes the members of bodies as plain data. The `OpenAPI` document is written from it.

#![cfg_attr(not(feature = "openapi"), allow(dead_code, reason = "the document alone reads most of it"))]

/// Describes the body of a request: JSON or a form.
#[derive(Debug)]
pub(crate) struct RequestSchema {
    pub(crate) description: Option<&'static str>,
    pub(crate) fields: &'static [FieldSpec],
}

impl RequestSchema {
    pub(crate) const fn new(fields: &'static [FieldSpec]) -> Self {
        Self { description: None, fields }
    }

    /// Returns whether there has to be a body.
    #[cfg(feature = "openapi")]
    pub(crate) fn is_required(&self) -> bool {
        self.fields.iter().any(|field| field.required)
    }

    /// Returns whether members of a registration are among the fields.
    pub(crate) fn has_profile(&self) -> bool {
        self.fields.iter().any(|field| field.kind.is_profile())
    }
}

/// Describes the body of a success.
#[derive(Debug)]
pub(crate) enum SuccessSchema {
    /// No body in the standard shape.
    Nothing,
    /// The user, and the tokens that are delivered in the body.
    Tokens,
    /// The same as `Tokens` if a registration logs the user in, otherwise the same as `User`.
    Registration,
    /// The user.
    User,
    /// An object with these members.
    Fields(&'static [FieldSpec]),
    /// A public document that other programs read. It looks the same in every shape.
    Document { content_type: &'static str, fields: &'static [FieldSpec] },
}

/// Describes one member of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldSpec {
    /// The name in the standard shape.
    pub(crate) name: &'static str,
    pub(crate) kind: FieldKind,
    pub(crate) required: bool,
}

impl FieldSpec {
    pub(crate) const fn required(name: &'static str, kind: FieldKind) -> Self {
        Self { name, kind, required: true }
    }

    pub(crate) const fn optional(name: &'static str, kind: FieldKind) -> Self {
        Self { name, kind, required: false }
    }
}

/// The type of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldKind {
    Text,
    NullableText,
    Email,
    Password,
    /// One of the deliveries that the app allows.
    Delivery,
    /// A text of the ready [`Profile`](crate::user::Profile). It is left out if the app has a
    /// registration type of its own.
    Profile,
    /// A time in the format of RFC 3339.
    Time,
    Integer,
    Flag,
    Null,
    /// The constant `Bearer`.
    Bearer,
    /// A list of texts.
    Texts,
    /// A list of objects with these members.
    List(&'static [FieldSpec]),
    /// The user as clients see it.
    User,
    /// The answer of the endpoint, inside the wrapper of the shape.
    Content,
}

impl FieldKind {
    pub(crate) const fn is_profile(self) -> bool {
        matches!(self, Self::Profile)
    }
}
