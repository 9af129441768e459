// The page of one span.

import {tabs} from "./drawer.js";
import {readTexts} from "./text.js";

const article = document.getElementById("span");
tabs(article);
readTexts(article);
document.body.dataset.ready = "true";
