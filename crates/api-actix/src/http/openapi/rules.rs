//! Adds to each operation what follows from its form, so that no handler has to state it.

use super::refusals;
use crate::http::extract::ActingField;
use crate::limits::Costs;
use utoipa::Modify;
use utoipa::openapi::Schema;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, Required};

/// Applies the rules for all routes (`docs/api.md`, Conventions).
pub struct Conventions;

/// Marks an operation as public.
const ALWAYS_ANSWERED: &[&str] = &["/health"];

impl Modify for Conventions {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_with(Components::default);
        for (code, response) in refusals::components() {
            components.responses.insert(code.to_owned(), response.into());
        }
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let bearer = bearer.description(Some("The token of `POST /login`, or a token of a program (`POST /tokens`)"));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        for (path, item) in &mut document.paths.paths {
            for (changes, operation) in operations(item) {
                apply(path, changes, operation);
            }
        }
    }
}

/// The operations of a path, and whether each may change data.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    let changing = [post, put, patch, delete].into_iter().flatten().map(|operation| (true, operation));
    get.iter_mut().map(|operation| (false, operation)).chain(changing)
}

fn apply(path: &str, changes: bool, operation: &mut Operation) {
    name(operation);
    parameters(path, operation);
    optional_body(operation);
    // A handler that reads no token has a requirement without a scheme.
    let open = operation.security.as_deref() == Some(&[SecurityRequirement::default()]);
    if open {
        operation.security = Some(Vec::new());
    }
    let mut statuses = vec![500];
    if !Costs::of_path(path).are_none() {
        statuses.push(429);
    }
    if !ALWAYS_ANSWERED.contains(&path) {
        statuses.push(503);
    }
    if !open {
        statuses.push(401);
    }
    if operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty()) {
        statuses.push(400);
    }
    if ActingField::of_path(path).0.is_some() {
        statuses.push(403);
    }
    if operation.request_body.is_some() {
        statuses.extend([400, 413, 415]);
    }
    if changes {
        statuses.push(507);
    }
    for (status, response) in statuses.into_iter().map(refusals::reference) {
        operation.responses.responses.entry(status).or_insert(response);
    }
}

/// An operation's id is its handler's name, with the module that makes it unique.
fn name(operation: &mut Operation) {
    if let (Some(id), Some([tag, ..])) = (&mut operation.operation_id, operation.tags.as_deref()) {
        *id = format!("{tag}_{id}");
    }
}

/// Every path placeholder that a handler does not document is an id; so is the acting user in the query.
fn parameters(path: &str, operation: &mut Operation) {
    let placeholders = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let said = operation.parameters.take().unwrap_or_default();
    let known = |name: &str| said.iter().any(|one| matches!(one, RefOr::T(parameter) if parameter.name == name));
    let id = |name: &str| ParameterBuilder::new().name(name).schema(Some(Ref::from_schema_name("Id")));
    let in_path = |name: &str| id(name).parameter_in(ParameterIn::Path).required(Required::True).build();
    let in_query = |name: &str| {
        let parameter = id(name).parameter_in(ParameterIn::Query).required(Required::False);
        parameter.description(Some("The caller, if given")).build()
    };
    let ids: Vec<_> = placeholders.filter(|name| !known(name)).map(in_path).collect();
    let acting = ActingField::of_path(path).0.map(in_query);
    let all: Vec<_> = ids.into_iter().map(RefOr::T).chain(said).chain(acting.map(RefOr::T)).collect();
    operation.parameters = (!all.is_empty()).then_some(all);
}

/// A handler takes an optional body as an `Option`. It means that the body may be missing, not that it may be `null`.
fn optional_body(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(choice))) = &content.schema
            && let [one, _null] = choice.items.as_slice()
        {
            content.schema = Some(one.clone());
        }
    }
}
