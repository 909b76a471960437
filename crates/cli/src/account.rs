//! For whom an upload was opened, and for whom this command speaks.

use partwise_protocol::{error::ApiError, operations::Account};

/// What the environment says besides the key: header, variable and value.
pub(crate) type Sent = Vec<(&'static str, &'static str, String)>;

/// Says what may help with an upload that is remembered here and that the service does not know: it belongs to somebody else
/// than this key, whom it names where that can be told.
pub(crate) fn unknown_upload(opened: &Account, rejection: &ApiError, sent: &Sent) -> String {
    let answered = &rejection.account;
    let parts = [
        ("project", "openai-project", &opened.project, &answered.project),
        ("organization", "openai-organization", &opened.organization, &answered.organization),
    ];
    let difference = parts.into_iter().find_map(|(what, header, opened, answered)| {
        let opened = opened.as_deref()?;
        if let Some(answered) = answered.as_deref() {
            return (answered != opened).then(|| {
                format!(
                    "the upload belongs to {what} {opened}, and the service answers this key for {answered}: use a key of {what} {opened}"
                )
            });
        }
        let (_, variable, value) = sent.iter().find(|(name, ..)| *name == header)?;
        (value != opened)
            .then(|| format!("the upload belongs to {what} {opened}, and {variable} is {value}: set it to {opened}"))
    });
    difference.unwrap_or_else(|| {
        "the upload may belong to another key, project or tenant: use the key that it was begun with".into()
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn account(project: &'static str, organization: &'static str) -> Account {
        let mut headers = HeaderMap::new();
        headers.insert("openai-project", HeaderValue::from_static(project));
        headers.insert("openai-organization", HeaderValue::from_static(organization));
        Account::of_headers(&headers)
    }

    #[test]
    fn what_differs_is_named_and_else_nothing_is_blamed() {
        let hint = |opened: Account, answered: Account, sent: &[(&'static str, &'static str, &str)]| {
            let mut rejection = ApiError::new(http::StatusCode::NOT_FOUND, "no");
            rejection.account = answered;
            let sent = sent.iter().map(|(header, variable, value)| (*header, *variable, (*value).to_owned()));
            unknown_upload(&opened, &rejection, &sent.collect())
        };
        let nobody = Account::default;
        let project = ("openai-project", "OPENAI_PROJECT_ID", "proj_b");
        insta::assert_snapshot!(hint(account("proj_a", "org-a"), account("proj_b", "org-a"), &[]), @"the upload belongs to project proj_a, and the service answers this key for proj_b: use a key of project proj_a");
        insta::assert_snapshot!(hint(account("proj_a", "org-a"), account("proj_a", "org-b"), &[]), @"the upload belongs to organization org-a, and the service answers this key for org-b: use a key of organization org-a");
        insta::assert_snapshot!(hint(account("proj_a", ""), nobody(), &[project]), @"the upload belongs to project proj_a, and OPENAI_PROJECT_ID is proj_b: set it to proj_a");
        let unknown =
            "the upload may belong to another key, project or tenant: use the key that it was begun with";
        assert_eq!(hint(account("proj_b", ""), nobody(), &[project]), unknown);
        assert_eq!(hint(nobody(), account("proj_b", "org-b"), &[project]), unknown);
        assert_eq!(hint(account("proj_a", "org-a"), account("proj_a", "org-a"), &[]), unknown);
    }
}
