"""What all tables share: naming of constraints, column types, the declarative base."""

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    MetaData,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}

Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]

Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]

MaybeMoment = Annotated[datetime | None, mapped_column(DateTime(timezone=True))]

Now = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=text("now()"))]

Count = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text, int: BigInteger, bytes: BYTEA, dict[str, Any]: JSONB, list[str]: ARRAY(Text)}  # noqa: RUF012 - SQLAlchemy's own form
