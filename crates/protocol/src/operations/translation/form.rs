//! A form whose content passes while it comes.

use std::collections::VecDeque;

use bytes::Bytes;
use http::request::Parts;

use super::{TranslateError, TranslationStep};
use crate::{
    Api,
    error::DecodeError,
    multipart::{Boundary, FormDecoder, FormFields, FormPoll, StreamedForm, content_type},
    operations::{AddUploadPart, CreateFile, OperationId, Route},
    transport::Segment,
};

/// In place of the content, where only the fields around it matter.
const NO_CONTENT: Segment = Segment::Bytes(Bytes::new());

/// Text fields as the service's dialect writes them.
type Texts = Vec<(&'static str, String)>;

#[derive(Debug)]
pub(super) struct FormTranslation {
    decoder: FormDecoder,
    /// Of the form that goes out. That of the form that comes in would let a caller write fields of its own into it.
    boundary: Boundary,
    /// The text fields that went before the content, once the request was begun.
    before: Option<Texts>,
    /// Those with which a request could not be begun.
    rejected: Option<FormFields>,
    is_over: bool,
}

impl FormTranslation {
    /// For an operation with content; `None` for any other.
    pub(super) fn new(route: &Route, head: &Parts, entropy: [u8; 16]) -> Result<Option<Self>, DecodeError> {
        let field = match route.operation {
            OperationId::CreateFile => CreateFile::CONTENT_FIELD,
            OperationId::AddUploadPart => AddUploadPart::CONTENT_FIELD,
            _ => return Ok(None),
        };
        let decoder = FormDecoder::new(content_type(head)?, field)?;
        let boundary = Boundary::from_entropy(entropy);
        Ok(Some(Self { decoder, boundary, before: None, rejected: None, is_over: false }))
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
        if let Some(fields) = &self.rejected {
            // The same error as before, whatever has come since: content is lost by now.
            self.begin(fields, route, from, to)?;
        }
        let polled = self.decoder.poll().map_err(DecodeError::from)?;
        if self.before.is_none() {
            if let Some(fields) = self.decoder.fields_so_far() {
                let begun = self.begin(&fields, route, from, to);
                if begun.is_err() {
                    self.rejected = Some(fields);
                }
                let (form, before) = begun?;
                steps.extend([TranslationStep::Request(form.request), TranslationStep::Body(form.before)]);
                self.before = Some(before);
            }
        }
        match polled {
            FormPoll::NeedInput => {}
            FormPoll::Content(bytes) => steps.push_back(TranslationStep::Body(bytes)),
            FormPoll::Done(fields) => {
                let end = self.end(&fields, route, from, to)?;
                steps.extend([TranslationStep::Body(end), TranslationStep::Done]);
                self.is_over = true;
            }
        }
        Ok(())
    }

    /// The request up to its content.
    fn begin(
        &self,
        fields: &FormFields,
        route: &Route,
        from: &Api,
        to: &Api,
    ) -> Result<(StreamedForm, Texts), TranslateError> {
        // The fields that have come go before it, if they are all that is needed; else all go behind it.
        let before = match route.operation {
            OperationId::CreateFile => match CreateFile::from_form(fields, NO_CONTENT, from.dialect()) {
                Ok(file) => file.texts(to.dialect())?,
                Err(_) => Texts::new(),
            },
            _ => Texts::new(),
        };
        Ok((self.around(fields, &before, &[], route, to)?, before))
    }

    /// The rest of the form: the fields that have not gone yet, and its end.
    fn end(&self, fields: &FormFields, route: &Route, from: &Api, to: &Api) -> Result<Bytes, TranslateError> {
        let before = self.before.as_deref().unwrap_or_default();
        let mut behind = match route.operation {
            OperationId::CreateFile => {
                CreateFile::from_form(fields, NO_CONTENT, from.dialect())?.texts(to.dialect())?
            }
            _ => Texts::new(),
        };
        if !before.iter().all(|text| behind.contains(text)) {
            let problem = "comes once before the content and once more behind it".to_owned();
            return Err(DecodeError::Invalid { field: "expires_after", problem }.into());
        }
        behind.retain(|text| !before.contains(text));
        Ok(self.around(fields, &[], &behind, route, to)?.after)
    }

    /// The request with these fields on both sides of the content.
    fn around(
        &self,
        fields: &FormFields,
        before: &[(&'static str, String)],
        behind: &[(&'static str, String)],
        route: &Route,
        to: &Api,
    ) -> Result<StreamedForm, TranslateError> {
        if route.operation != OperationId::CreateFile {
            let mut part = AddUploadPart::from_form(route, fields, NO_CONTENT)?;
            part.boundary = self.boundary.clone();
            return Ok(part.encode_streamed(to)?);
        }
        let head = fields.content();
        let filename = head.filename.as_deref().ok_or(DecodeError::Missing { field: "filename" })?;
        let mime_type = head.content_type.as_deref().filter(|mime_type| !mime_type.is_empty());
        let mime_type = mime_type.unwrap_or("application/octet-stream");
        Ok(StreamedForm::around(|content| {
            CreateFile::request_around(to, before, behind, (filename, mime_type, content), &self.boundary)
        })?)
    }
}
