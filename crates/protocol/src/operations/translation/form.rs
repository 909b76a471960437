//! A form whose content passes while it comes.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{Request, request::Parts};

use super::{TranslateError, TranslationStep};
use crate::{
    Api, Operation as _,
    error::DecodeError,
    multipart::{FormDecoder, FormFields, FormPoll, StreamedForm, content_type},
    operations::{AddUploadPart, CreateFile, OperationId, Route},
    transport::{Body, Segment, SourceRange},
};

/// Stands for the content, whatever its length.
const CONTENT: Segment = Segment::Source(SourceRange::PLACEHOLDER);

/// Text fields as the service's dialect writes them.
type Texts = Vec<(&'static str, String)>;

#[derive(Debug)]
pub(super) struct FormTranslation {
    decoder: FormDecoder,
    /// The text fields that went before the content, once the request was begun.
    before: Option<Texts>,
    is_over: bool,
}

impl FormTranslation {
    /// For an operation with content; `None` for any other.
    pub(super) fn new(route: &Route, head: &Parts) -> Result<Option<Self>, DecodeError> {
        let field = match route.operation {
            OperationId::CreateFile => CreateFile::CONTENT_FIELD,
            OperationId::AddUploadPart => AddUploadPart::CONTENT_FIELD,
            _ => return Ok(None),
        };
        let decoder = FormDecoder::new(content_type(head)?, field)?;
        Ok(Some(Self { decoder, before: None, is_over: false }))
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.decoder.push(bytes);
    }

    pub(super) fn finish_input(&mut self) {
        self.decoder.finish_input();
    }

    /// Adds what is to be done next; nothing when more has to come.
    pub(super) fn poll(
        &mut self,
        route: &Route,
        from: &Api,
        to: &Api,
        steps: &mut VecDeque<TranslationStep>,
    ) -> Result<(), TranslateError> {
        if self.is_over {
            steps.push_back(TranslationStep::Done);
            return Ok(());
        }
        let polled = self.decoder.poll().map_err(DecodeError::from)?;
        if self.before.is_none() {
            if let Some(fields) = self.decoder.fields_so_far() {
                let (form, before) = begin(&fields, route, from, to)?;
                steps.extend([TranslationStep::Request(form.request), TranslationStep::Body(form.before)]);
                self.before = Some(before);
            }
        }
        match polled {
            FormPoll::NeedInput => {}
            FormPoll::Content(bytes) => steps.push_back(TranslationStep::Body(bytes)),
            FormPoll::Done(fields) => {
                let before = self.before.as_deref().unwrap_or_default();
                let end = end(&fields, before, route, from, to)?;
                steps.extend([TranslationStep::Body(end), TranslationStep::Done]);
                self.is_over = true;
            }
        }
        Ok(())
    }
}

/// The request up to its content. The fields that have come go before it, if they are all that is needed; else all go behind it.
fn begin(
    fields: &FormFields,
    route: &Route,
    from: &Api,
    to: &Api,
) -> Result<(StreamedForm, Texts), TranslateError> {
    let before = match route.operation {
        OperationId::CreateFile => match CreateFile::from_form(fields, CONTENT, from.dialect()) {
            Ok(file) => file.texts(to.dialect())?,
            Err(_) => Texts::new(),
        },
        _ => Texts::new(),
    };
    Ok((around(fields, &before, &[], route, to)?, before))
}

/// The rest of the form: the fields that have not gone yet, and its end.
fn end(
    fields: &FormFields,
    before: &[(&'static str, String)],
    route: &Route,
    from: &Api,
    to: &Api,
) -> Result<Bytes, TranslateError> {
    let mut behind = match route.operation {
        OperationId::CreateFile => {
            CreateFile::from_form(fields, CONTENT, from.dialect())?.texts(to.dialect())?
        }
        _ => Texts::new(),
    };
    if !before.iter().all(|text| behind.contains(text)) {
        let problem = "comes once before the content and once more behind it".to_owned();
        return Err(DecodeError::Invalid { field: "expires_after", problem }.into());
    }
    behind.retain(|text| !before.contains(text));
    Ok(around(fields, &[], &behind, route, to)?.after)
}

/// The request with these fields on both sides of the content. Its boundary is the one that came: no content has that in it.
fn around(
    fields: &FormFields,
    before: &[(&'static str, String)],
    behind: &[(&'static str, String)],
    route: &Route,
    to: &Api,
) -> Result<StreamedForm, TranslateError> {
    let request: Request<Body> = match route.operation {
        OperationId::CreateFile => {
            let head = fields.content();
            let filename = head.filename.as_deref().ok_or(DecodeError::Missing { field: "filename" })?;
            let mime_type = head.content_type.as_deref().filter(|mime_type| !mime_type.is_empty());
            let mime_type = mime_type.unwrap_or("application/octet-stream");
            CreateFile::request_around(to, before, behind, (filename, mime_type, CONTENT), fields.boundary())?
        }
        _ => AddUploadPart::from_form(route, fields, CONTENT)?.encode_request(to)?,
    };
    Ok(StreamedForm::of(request).expect("one range stands for the content"))
}
