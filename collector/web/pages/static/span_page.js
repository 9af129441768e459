// The page of one span.

import {tabs} from "./drawer.js";
import {byId} from "./elements.js";
import {readTexts} from "./text.js";

const article = byId("span");
tabs(article);
readTexts(article);
document.body.dataset.ready = "true";
